"""Version 1 of the wire format. The stubs beside the `.proto` files are generated (`make proto`), never edited."""
