"""What a user or a site has configured: mirrors, and where downloads and built wheels are kept."""
