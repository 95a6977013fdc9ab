from django.db import migrations


class Migration(migrations.Migration):
    """Hashes do not shrink: trying to was most of the time that a large exchange took to record."""

    dependencies = [("audit", "0003_receipt_operation")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE audit_callrecord ALTER COLUMN others SET STORAGE EXTERNAL",
            "ALTER TABLE audit_callrecord ALTER COLUMN others SET STORAGE EXTENDED",
        )
    ]
