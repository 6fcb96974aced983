resource "aws_s3_bucket" "archive" {
  #checkov:skip=CKV_AWS_18:Access is logged by the proxy before it
  bucket = "office-archive"
}

resource "aws_db_instance" "office" {
  identifier          = "office"
  engine              = "postgres"
  instance_class      = "db.t3.micro"
  allocated_storage   = 20
  publicly_accessible = true
  storage_encrypted   = false
}
