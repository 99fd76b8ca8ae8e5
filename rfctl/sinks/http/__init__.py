"""The sink that POSTs to a URL, signed by Standard Webhooks."""
