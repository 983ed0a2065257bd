"""Grantkeeper: an OAuth connection broker on AWS Lambda."""

import gc
import os

# Within Lambda's init nothing dies, so collections only cost (5-8 % of it); `Wiring.warm_up` switches them on again.
if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    gc.disable()
