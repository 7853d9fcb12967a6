"""Who uses the page, in which order, and what the server holds of them."""
