"""Values as text: cells, formats, states and their marks, time in cells. Pure."""
