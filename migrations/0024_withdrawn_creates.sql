-- A row may be deleted before it is known whether its create has made a lead: by its email that lead is known when it
-- shows, and deleted there too.
ALTER TABLE sync.creates ADD COLUMN email text;
UPDATE sync.creates c SET email = l.email FROM crm.leads l WHERE l.workspace = c.workspace AND l.id = c.lead_id;
CREATE INDEX creates_by_email ON sync.creates (workspace, lower(email));
