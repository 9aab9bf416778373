"""The policy as JSON, and what is wrong with one."""

from datetime import timedelta

import pytest

from penstock.components.retrainer import policy
from penstock.components.retrainer.policy import Policy
from penstock.core.errors import ConfigError
from penstock.pipelines.config.monitoring.retraining import Retraining


def test_the_configuration_has_the_components_defaults() -> None:
    assert policy.read(Retraining().policy) == policy.read("") == Policy()
    assert Retraining().policy == ""


def test_what_is_set_is_passed_on() -> None:
    values = {
        "drift": None,
        "max_age": "30d",
        "performance_limits": {"auc": 0.8},
        "budget_hours": 4.5,
        "approval": True,
    }
    read = policy.read(Retraining.model_validate(values).policy)
    assert read == Policy(drift=None, max_age="30d", performance_limits={"auc": 0.8}, budget_hours=4.5, approval=True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"cooldown": "1d"}', "policy: cooldown: Unexpected keyword argument"),
        ('{"cool_down": "soon"}', "policy: cool_down: expected a number and a unit, such as 30m, 6h, 1d or 2w"),
        ('{"drift": "far"}', "policy: drift: Input should be a valid number"),
        ("[1]", "policy: expected an object such as"),
    ],
)
def test_what_is_no_policy_is_told(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy.read(text)
    assert caught.value.message.startswith(sentence)


def test_no_length_is_no_time() -> None:
    assert (policy.length(""), policy.length("6h")) == (timedelta(), timedelta(hours=6))


def test_a_policy_is_told_in_the_words_of_its_keys() -> None:
    told = policy.words(Policy(performance_limits={"auc": 0.8}, approval=True, performance_loss=None))
    assert told == 'drift: 2, performance_limits: {"auc": 0.8}, cool_down: 1d, max_per_week: 2, approval: true'
