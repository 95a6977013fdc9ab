"""Demo: a fictional Lianyungang that writes departments' sources, as dirty as in life (模拟数据)."""
