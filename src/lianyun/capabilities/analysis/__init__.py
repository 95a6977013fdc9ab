"""Analysis 自助分析: questions that officers ask of the data they may read, and their answers."""
