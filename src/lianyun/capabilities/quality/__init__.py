"""Quality 质量: what the checks found, how departments stand, and the cases that set wrong rows right."""
