"""One sitting at the screen: the engine behind it, its log file, its toasts, and the ways out."""
