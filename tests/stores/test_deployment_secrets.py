"""Random keys of the deployment."""

from concurrent.futures import ThreadPoolExecutor

from grantkeeper.stores.deployment_secrets import DynamoDeploymentSecrets
from tests.doubles.aws import InMemoryAws


def test_a_key_is_the_same_for_every_container():
    """A cursor made by one execution environment is read by another."""
    dynamodb = InMemoryAws().dynamodb

    made = DynamoDeploymentSecrets(dynamodb, "requests").key("cursors")

    assert len(made) == 32
    assert DynamoDeploymentSecrets(dynamodb, "requests").key("cursors") == made


def test_keys_of_different_names_differ():
    """What authenticates one thing authenticates no other."""
    keys = DynamoDeploymentSecrets(InMemoryAws().dynamodb, "requests")

    assert keys.key("cursors") != keys.key("other")


def test_racing_first_callers_get_one_key():
    """Containers that start together agree."""
    dynamodb = InMemoryAws().dynamodb

    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: DynamoDeploymentSecrets(dynamodb, "requests").key("cursors"), range(32)))

    assert len(keys) == 1


def test_a_lost_acknowledgement_is_no_second_key():
    """The write that was done counts, whether we heard of it or not."""
    dynamodb = InMemoryAws().dynamodb
    dynamodb.faults.lose_acknowledgement("put_item")

    made = DynamoDeploymentSecrets(dynamodb, "requests").key("cursors")

    assert DynamoDeploymentSecrets(dynamodb, "requests").key("cursors") == made
