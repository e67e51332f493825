"""The widgets: small, fed with plain values, and repainted only where something changed."""
