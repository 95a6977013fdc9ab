"""Forms as they stood are kept once, under their digest (ADR 0046)."""

import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('forms', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Declaration',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False, verbose_name='摘要')),
                ('content', models.JSONField(verbose_name='表单')),
                ('kept_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='保存时间')),
            ],
            options={
                'verbose_name': '表单存档',
                'verbose_name_plural': '表单存档',
            },
        ),
    ]
