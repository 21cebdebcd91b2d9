"""The log: one table, gapless positions, append-only."""

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

SQLITE = [
    # The payload comes last, so that reading the other columns touches none of its overflow pages.
    """
    CREATE TABLE log (
        position INTEGER NOT NULL PRIMARY KEY CHECK (position > 0),
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        topic TEXT NOT NULL,
        state BLOB NOT NULL
    )
    """,
    # Every commit ends with a block, and an index that held blocks too would make it write one page more. The versions
    # of a stream of blocks are 1, 2, 3 ... in the order of the log: none is taken twice, and each is found without it.
    "CREATE UNIQUE INDEX log_stream_version ON log (stream, version) WHERE stream NOT GLOB 'shard-*'",
    """
    CREATE TRIGGER log_block_is_next BEFORE INSERT ON log
    WHEN NEW.stream GLOB 'shard-*' AND NEW.version IS NOT 1 + coalesce(
        (SELECT version FROM log WHERE stream = NEW.stream ORDER BY position DESC LIMIT 1), 0
    )
    BEGIN SELECT RAISE(ABORT, 'log: the version of a block must be the next one'); END
    """,
    """
    CREATE TRIGGER log_position_is_next BEFORE INSERT ON log
    WHEN NEW.position IS NOT (SELECT coalesce(max(position), 0) + 1 FROM log)
    BEGIN SELECT RAISE(ABORT, 'log: position must be the next one'); END
    """,
    # Without this one INSERT OR REPLACE would delete the entry that holds (stream, version).
    """
    CREATE TRIGGER log_version_is_free BEFORE INSERT ON log
    WHEN NEW.stream NOT GLOB 'shard-*' AND EXISTS (
        SELECT 1 FROM log WHERE stream = NEW.stream AND version = NEW.version AND stream NOT GLOB 'shard-*'
    )
    BEGIN SELECT RAISE(ABORT, 'log: stream and version are taken'); END
    """,
    """
    CREATE TRIGGER log_refuses_update BEFORE UPDATE ON log
    BEGIN SELECT RAISE(ABORT, 'log: append-only, UPDATE refused'); END
    """,
    """
    CREATE TRIGGER log_refuses_delete BEFORE DELETE ON log
    BEGIN SELECT RAISE(ABORT, 'log: append-only, DELETE refused'); END
    """,
]

# `{schema}` is written out, so that a temporary table named `log` in a writer's session cannot stand in for the log.
# ENABLE ALWAYS: the triggers also fire under session_replication_role = replica.
POSTGRESQL = [
    """
    CREATE TABLE {schema}.log (
        position BIGINT NOT NULL PRIMARY KEY CHECK (position > 0),
        stream TEXT COLLATE "C" NOT NULL,
        version BIGINT NOT NULL,
        topic TEXT COLLATE "C" NOT NULL,
        state BYTEA NOT NULL,
        CONSTRAINT log_stream_version UNIQUE (stream, version)
    )
    """,
    "ALTER TABLE {schema}.log ALTER COLUMN state SET STORAGE EXTERNAL",
    """
    CREATE FUNCTION {schema}.log_position_is_next() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.position IS DISTINCT FROM (SELECT coalesce(max(position), 0) + 1 FROM {schema}.log) THEN
            RAISE EXCEPTION 'log: position must be the next one, got %', NEW.position
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE FUNCTION {schema}.log_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'log: append-only, % refused', TG_OP USING ERRCODE = 'restrict_violation';
    END $$
    """,
    """
    CREATE FUNCTION {schema}.log_announce() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        NOTIFY tallystick_log;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER log_position_is_next BEFORE INSERT ON {schema}.log
    FOR EACH ROW EXECUTE FUNCTION {schema}.log_position_is_next()
    """,
    """
    CREATE TRIGGER log_refuses_change BEFORE UPDATE OR DELETE ON {schema}.log
    FOR EACH ROW EXECUTE FUNCTION {schema}.log_refuses()
    """,
    """
    CREATE TRIGGER log_refuses_truncate BEFORE TRUNCATE ON {schema}.log
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_refuses()
    """,
    """
    CREATE TRIGGER log_announce AFTER INSERT ON {schema}.log
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.log_announce()
    """,
    "ALTER TABLE {schema}.log ENABLE ALWAYS TRIGGER log_position_is_next",
    "ALTER TABLE {schema}.log ENABLE ALWAYS TRIGGER log_refuses_change",
    "ALTER TABLE {schema}.log ENABLE ALWAYS TRIGGER log_refuses_truncate",
    # Roles belong to the whole server: another log may have made them, or the owner may lack the right to make any.
    # Then an administrator creates them and grants as below; see docs/decisions/0003-log-storage.md.
    """
    DO $$
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallystick_writer') THEN
            CREATE ROLE tallystick_writer NOLOGIN;
        END IF;
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallystick_reader') THEN
            CREATE ROLE tallystick_reader NOLOGIN;
        END IF;
    EXCEPTION
        WHEN duplicate_object OR unique_violation THEN NULL;
        WHEN insufficient_privilege THEN RAISE NOTICE 'roles tallystick_writer and tallystick_reader were not created';
    END $$
    """,
    """
    DO $$
    BEGIN
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallystick_writer') THEN
            GRANT USAGE ON SCHEMA {schema} TO tallystick_writer;
            GRANT SELECT, INSERT ON {schema}.log TO tallystick_writer;
            GRANT SELECT ON {schema}.log_schema TO tallystick_writer;
        END IF;
        IF EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'tallystick_reader') THEN
            GRANT USAGE ON SCHEMA {schema} TO tallystick_reader;
            GRANT SELECT ON {schema}.log, {schema}.log_schema TO tallystick_reader;
        END IF;
    END $$
    """,
]


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        for statement in SQLITE:
            connection.exec_driver_sql(statement)
        return
    schema = connection.execute(text("SELECT quote_ident(current_schema())")).scalar_one()
    for statement in POSTGRESQL:
        # Through the driver as it is: neither `:` nor `%` of these texts marks a parameter.
        connection.connection.cursor().execute(statement.replace("{schema}", schema))


def downgrade() -> None:
    raise NotImplementedError("a log is never taken back to an older schema: it would lose entries")
