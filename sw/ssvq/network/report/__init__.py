"""What a compiled network costs and what a run of it took: tables, pictures, records, and one HTML page of all."""
