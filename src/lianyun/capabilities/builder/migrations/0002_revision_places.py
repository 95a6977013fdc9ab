import lianyun.capabilities.editions.models
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("builder", "0001_initial"),
    ]

    operations = [
        migrations.AddField(
            model_name="revision",
            name="places",
            field=lianyun.capabilities.editions.models.OrderedJSON(
                default=list, verbose_name="有出入之处"
            ),
        ),
        migrations.AddField(
            model_name="revision",
            name="settled_at",
            field=models.DateTimeField(null=True, verbose_name="选定时间"),
        ),
    ]
