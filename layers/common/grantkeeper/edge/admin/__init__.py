"""The routes under /v1/admin, a module for each kind of thing; `functions/admin` joins them."""
