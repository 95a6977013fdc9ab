"""What is open, and what has come to a desk, is found without reading whole cases (ADR 0046)."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('kernel', '0005_item_done'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='case',
            index=models.Index(condition=models.Q(('state__in', ['open', 'suspended'])), fields=['id'], include=('state', 'subject', 'path'), name='case_open'),
        ),
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(fields=['department', 'permission', 'case'], name='item_at_desk'),
        ),
        migrations.RemoveIndex(
            model_name='workitem',
            name='item_waiting',
        ),
        migrations.AddIndex(
            model_name='workitem',
            index=models.Index(condition=models.Q(('done_at', None)), fields=['permission', 'department', 'due_on'], include=('case',), name='item_waiting'),
        ),
    ]
