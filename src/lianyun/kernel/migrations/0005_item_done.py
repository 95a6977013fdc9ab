"""Finished steps are found by their day (ADR 0046)."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kernel', '0004_numbers_without_waiting'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(fields=['done_at'], name='item_done'),
        ),
    ]
