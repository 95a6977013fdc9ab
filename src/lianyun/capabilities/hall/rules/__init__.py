"""Rules: which ground frees which material, which sources are asked, who may walk an application."""
