"""Tries of a verification are counted for department, source and subject; yesterday's count no more."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("kernel", "0001_initial"),
        ("services", "0004_keys"),
    ]

    operations = [
        migrations.DeleteModel(name="Miss"),
        migrations.CreateModel(
            name="Miss",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("key_hash", models.CharField(max_length=64)),
                ("day", models.DateField(verbose_name="日期")),
                ("tries", models.PositiveIntegerField(default=0, verbose_name="次数")),
                (
                    "party",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="kernel.party",
                    ),
                ),
                (
                    "source",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="kernel.resource",
                    ),
                ),
            ],
            options={
                "verbose_name": "核验不一致次数",
                "verbose_name_plural": "核验不一致次数",
                "constraints": [
                    models.UniqueConstraint(
                        fields=("party", "source", "key_hash", "day"), name="miss_once"
                    )
                ],
            },
        ),
    ]
