"""The screens: one file each, with its layout and what its keys do. Textual is known here, in widgets and in app."""
