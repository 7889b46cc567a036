"""The table of airports."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    operations = [  # noqa: RUF012 - the form that Django writes
        migrations.CreateModel(
            name="Airport",
            fields=[
                (
                    "icao",
                    models.CharField(
                        max_length=4, primary_key=True, serialize=False, verbose_name="ICAO code"
                    ),
                ),
                (
                    "iata",
                    models.CharField(
                        blank=True,
                        max_length=3,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z0-9]{3}$", "Three capital letters or digits, or nothing."
                            )
                        ],
                        verbose_name="IATA code",
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("city", models.CharField(blank=True, max_length=80)),
                ("subd", models.CharField(blank=True, max_length=80, verbose_name="region")),
                (
                    "country",
                    models.CharField(
                        max_length=2,
                        validators=[
                            django.core.validators.RegexValidator(
                                "^[A-Z]{2}$", "Two capital letters, as in DE."
                            )
                        ],
                    ),
                ),
                (
                    "elevation_ft",
                    models.FloatField(
                        validators=[
                            django.core.validators.MinValueValidator(-2000),
                            django.core.validators.MaxValueValidator(30000),
                        ],
                        verbose_name="elevation (ft)",
                    ),
                ),
                (
                    "lat",
                    models.FloatField(
                        validators=[
                            django.core.validators.MinValueValidator(-90),
                            django.core.validators.MaxValueValidator(90),
                        ],
                        verbose_name="latitude (°)",
                    ),
                ),
                (
                    "lon",
                    models.FloatField(
                        validators=[
                            django.core.validators.MinValueValidator(-180),
                            django.core.validators.MaxValueValidator(180),
                        ],
                        verbose_name="longitude (°)",
                    ),
                ),
                ("tz", models.CharField(max_length=40, verbose_name="time zone")),
            ],
        ),
    ]
