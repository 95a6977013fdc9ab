from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('licences', '0002_licence_left_on_run_left_licence_licence_left'),
    ]

    operations = [
        migrations.AddField(
            model_name='document',
            name='ofd',
            field=models.CharField(blank=True, default='', max_length=64, verbose_name='OFD 文件摘要'),
        ),
    ]
