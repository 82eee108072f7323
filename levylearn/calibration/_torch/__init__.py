"""What imports torch: it is imported on first use."""
