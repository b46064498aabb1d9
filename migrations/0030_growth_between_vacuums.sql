-- In a first backfill of a million leads autovacuum still took a tenth of the time that PostgreSQL had: as these tables
-- grow they are vacuumed when they have tripled, and analyzed when they have doubled.
ALTER TABLE crm.leads SET (autovacuum_vacuum_insert_scale_factor = 2, autovacuum_analyze_scale_factor = 1);
ALTER TABLE sync.base SET (autovacuum_vacuum_insert_scale_factor = 2, autovacuum_analyze_scale_factor = 1);
