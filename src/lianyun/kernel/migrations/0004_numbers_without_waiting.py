"""Case numbers are drawn from the table's own sequence, counted from each day's first (ADR 0038)."""

from django.db import migrations, models

# A day that has begun goes on where its counter stood.
COUNT_ON = """
UPDATE kernel_numbering SET before =
    (SELECT CASE WHEN is_called THEN last_value ELSE last_value - 1 END FROM kernel_case_id_seq)
    - last
"""


class Migration(migrations.Migration):

    dependencies = [
        ('kernel', '0003_answer_decision_workitem_fires_on_and_more'),
    ]

    operations = [
        migrations.AddField(
            model_name='numbering',
            name='before',
            field=models.BigIntegerField(default=0),
        ),
        migrations.RunSQL(COUNT_ON, migrations.RunSQL.noop),
        migrations.RemoveField(
            model_name='numbering',
            name='last',
        ),
    ]
