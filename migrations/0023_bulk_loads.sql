-- A first backfill grows these tables tenfold every few seconds at its beginning, and then by a tenth: analyzed and
-- vacuumed each time, that takes as much of the server as the inserts do.
ALTER TABLE crm.leads SET (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.3);
ALTER TABLE sync.base SET (autovacuum_vacuum_insert_scale_factor = 0.5, autovacuum_analyze_scale_factor = 0.3);
