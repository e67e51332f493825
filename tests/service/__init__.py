"""litestream-tui as a service: what systemd is told, the files of contrib/, the container, and installation."""
