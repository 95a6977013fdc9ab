"""What departments finished in time, day by day (ADR 0046)."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('kernel', '0005_item_done'),
    ]

    operations = [
        migrations.CreateModel(
            name='Tally',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField(verbose_name='日期')),
                ('area', models.CharField(blank=True, default='', max_length=40, verbose_name='领域')),
                ('done', models.PositiveIntegerField(verbose_name='办结环节')),
                ('in_time', models.PositiveIntegerField(verbose_name='其中按时')),
                ('department', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='kernel.party', verbose_name='部门')),
            ],
            options={
                'verbose_name': '监察日计',
                'verbose_name_plural': '监察日计',
                'constraints': [models.UniqueConstraint(fields=('day', 'area', 'department'), name='tallied_once')],
            },
        ),
    ]
