"""Settings of the back office. The secrets are nobody's."""

MAIL_HOST = "mail.example.com"
MAIL_PASSWORD = "correct-horse-battery-staple"
AWS_ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"
DATABASE_URL = "postgres://office:9f8e7d6c5b4a@db.example.com/office"
