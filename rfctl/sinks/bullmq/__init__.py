"""Jobs for BullMQ workers of Node."""
