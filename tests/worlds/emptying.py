"""Reset a test's database for the next test: far quicker than a new one."""

import psycopg

CUT_OFF = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
"""End all other sessions, and wait for that (milliseconds)."""

EMPTY = """
DO $$
DECLARE
    one record;
    filled boolean;
BEGIN
    FOR one IN
        SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname IN ('public', 'dbos')
        AND tablename NOT IN ('alembic_version', 'dbos_migrations')
    LOOP
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I)', one.schemaname, one.tablename)
        INTO filled;
        IF filled THEN
            EXECUTE format('TRUNCATE %I.%I CASCADE', one.schemaname, one.tablename);
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
    FROM pg_sequences WHERE last_value IS NOT NULL;
END
$$
"""

SHAPE = """
WITH ours AS (
    SELECT c.oid, c.relname, c.relkind, c.reloptions FROM pg_class c
    WHERE c.relnamespace::regnamespace::text IN ('public', 'dbos')
), parts (part) AS (
    SELECT format('%s %s %s', relname, relkind, reloptions) FROM ours
    UNION ALL SELECT format('%s.%s %s %s %s', o.relname, a.attname, a.atttypid, a.attnotnull,
        pg_get_expr(d.adbin, d.adrelid))
        FROM ours o JOIN pg_attribute a ON a.attrelid = o.oid
        LEFT JOIN pg_attrdef d ON d.adrelid = o.oid AND d.adnum = a.attnum
    UNION ALL SELECT pg_get_indexdef(oid) FROM ours WHERE relkind = 'i'
    UNION ALL SELECT pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conrelid IN (SELECT oid FROM ours)
    UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM ours)
    UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc
        WHERE pronamespace::regnamespace::text IN ('public', 'dbos') AND prokind <> 'a'
    UNION ALL SELECT setconfig::text FROM pg_db_role_setting s
        JOIN pg_database b ON b.oid = s.setdatabase WHERE b.datname = current_database()
)
SELECT md5(string_agg(part, E'\n' ORDER BY part)),
    (SELECT array_agg(version_num) FROM alembic_version),
    (SELECT array_agg(version) FROM dbos.dbos_migrations)
FROM parts
"""


def shape(url: str) -> object:
    """Identifies the shape of a database's tables, including their versions."""
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(SHAPE).fetchone()


def emptied(url: str, wanted: object) -> bool:
    """Empty a database despite open connections; return False if it has another shape."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(CUT_OFF)
        try:
            if db.execute(SHAPE).fetchone() != wanted:
                return False
        except psycopg.errors.UndefinedTable:
            return False
        db.execute(EMPTY)
    return True
