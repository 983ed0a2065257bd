"""The ground the store tests stand on."""

from concurrent.futures import ThreadPoolExecutor


def test_tables_have_the_indexes_of_the_design(dynamodb_tables):
    """
    Each table is there, empty, with its indexes.
    """
    describe = dynamodb_tables.client.describe_table
    names = {
        table: {index["IndexName"] for index in describe(TableName=table)["Table"].get("GlobalSecondaryIndexes", ())}
        for table in (dynamodb_tables.grants, dynamodb_tables.requests, dynamodb_tables.audit)
    }

    assert names == {
        dynamodb_tables.grants: {"due", "list"},
        dynamodb_tables.requests: set(),
        dynamodb_tables.audit: {"day", "actor"},
    }


def test_conditional_writes_have_one_winner(dynamodb_tables):
    """
    Sixteen threads racing for one key: the emulator lets exactly one through.
    """

    def put(number: int) -> bool:
        try:
            dynamodb_tables.client.put_item(
                TableName=dynamodb_tables.grants,
                Item={"pk": {"S": "a"}, "sk": {"S": "b"}, "winner": {"N": str(number)}},
                ConditionExpression="attribute_not_exists(pk)",
            )
        except dynamodb_tables.client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        outcomes = list(threads.map(put, range(16)))

    assert outcomes.count(True) == 1
