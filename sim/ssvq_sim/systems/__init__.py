"""Programs for a core, right ones and such that must fail, with what a golden model expects of them."""
