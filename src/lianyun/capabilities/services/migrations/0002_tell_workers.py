"""Triggers: whoever changes a grant, a credential or a service tells all workers by NOTIFY."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION lianyun_tell_grant() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('lianyun_grants', NEW.id::text); RETURN NULL; END $$;
CREATE FUNCTION lianyun_tell_client() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('lianyun_grants', NEW.grant_id::text); RETURN NULL; END $$;
CREATE FUNCTION lianyun_tell_service() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_notify('lianyun_grants', '*'); RETURN NULL; END $$;
CREATE TRIGGER lianyun_tell_grant AFTER UPDATE ON kernel_grant
    FOR EACH ROW EXECUTE FUNCTION lianyun_tell_grant();
CREATE TRIGGER lianyun_tell_client AFTER INSERT OR UPDATE ON services_client
    FOR EACH ROW EXECUTE FUNCTION lianyun_tell_client();
CREATE TRIGGER lianyun_tell_service AFTER INSERT OR UPDATE ON services_service
    FOR EACH ROW EXECUTE FUNCTION lianyun_tell_service();
"""

BACKWARD = """
DROP TRIGGER lianyun_tell_service ON services_service;
DROP TRIGGER lianyun_tell_client ON services_client;
DROP TRIGGER lianyun_tell_grant ON kernel_grant;
DROP FUNCTION lianyun_tell_service();
DROP FUNCTION lianyun_tell_client();
DROP FUNCTION lianyun_tell_grant();
"""


class Migration(migrations.Migration):
    """Adds the three triggers."""

    dependencies = [("services", "0001_initial"), ("kernel", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
