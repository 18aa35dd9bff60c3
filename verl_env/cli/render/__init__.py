"""What commands show, as tables, texts and JSON documents."""
