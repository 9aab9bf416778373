"""What model monitoring is made of, no component itself: components of monitoring use it."""
