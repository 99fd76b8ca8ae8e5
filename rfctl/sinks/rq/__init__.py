"""Jobs for RQ workers."""
