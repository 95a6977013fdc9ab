from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("hall", "0002_bundle")]

    operations = [
        migrations.AlterField(
            model_name="materialstate",
            name="ground",
            field=models.CharField(
                blank=True,
                choices=[
                    ("licence", "持有电子证照"),
                    ("library", "部门数据共享获取"),
                    ("service", "网络核验一致"),
                    ("earlier", "以前已经提交"),
                    ("forerun", "前面事项的办理结果"),
                    ("promise", "告知承诺"),
                    ("upload", "上传"),
                ],
                default="",
                max_length=20,
                verbose_name="依据",
            ),
        ),
    ]
