resource "aws_s3_bucket" "invoices" {
  bucket = "webshop-invoices"
}

resource "aws_security_group" "shop" {
  name        = "shop"
  description = "The shop's own"

  ingress {
    description = "Administration"
    from_port   = 22
    to_port     = 22
    protocol    = "tcp"
    cidr_blocks = ["0.0.0.0/0"]
  }
}
