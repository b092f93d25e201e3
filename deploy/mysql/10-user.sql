-- A schema is a database, and the pipeline creates its own: rights on all of them. Not on `mysql`, though: who may
-- write there may become root (needs the server's option --partial-revokes=ON).
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW,
    CREATE TEMPORARY TABLES, LOCK TABLES, TRIGGER ON *.* TO 'djq'@'%';
REVOKE SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX, REFERENCES, CREATE VIEW, SHOW VIEW,
    CREATE TEMPORARY TABLES, LOCK TABLES, TRIGGER ON mysql.* FROM 'djq'@'%';
