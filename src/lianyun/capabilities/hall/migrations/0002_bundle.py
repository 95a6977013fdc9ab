from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hall", "0001_initial")]

    operations = [
        migrations.AddField(
            model_name="application",
            name="bundle",
            field=models.CharField(
                blank=True, db_index=True, default="", max_length=60, verbose_name="所属套餐"
            ),
        ),
        migrations.AddField(
            model_name="application",
            name="ready_at",
            field=models.DateTimeField(null=True, verbose_name="随套餐提交时间"),
        ),
    ]
