"""The explorer: runs are recorded, and written as one page that shows every moment of them."""
