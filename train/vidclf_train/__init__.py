"""Train, measure and build what vidclf ships; needs the extra [train]."""
