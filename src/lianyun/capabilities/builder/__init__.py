"""Builder: an analyst makes a whole service in the browser: item, form, path, table, licence, pages."""
