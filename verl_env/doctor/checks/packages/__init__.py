"""What packages say of one another, of torch and of their lockset."""
