"""`vidclf models`: which classifiers there are, and their cards."""

from __future__ import annotations

import click

from vidclf_cli.cli.options import ModelName
from vidclf_cli.cli.terminal import printable


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List the shipped classifiers, or show one's card.

    \b
      vidclf models
      vidclf models show topics-10
      vidclf models show my.onnx
    """
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command("list")
def list_models() -> None:
    """List the shipped classifiers.

    \b
      vidclf models list
    """
    from vidclf_cli.classifier import load_classifier
    from vidclf_cli.shipped import shipped_classifiers

    for name in shipped_classifiers():
        classifier = load_classifier(name)
        labels = ", ".join(classifier.labels)
        click.echo(f"{classifier.name}  {len(classifier.labels)} labels: {labels}")


@models.command("show")
@click.argument("model", metavar="NAME|FILE", type=ModelName())
def show_model(model: str) -> None:
    """Show what a classifier is, what it was trained on, and how well it does.

    \b
      vidclf models show topics-10
      vidclf models show my.onnx
    """
    from vidclf_cli.classifier_text import describe_classifier

    click.echo(printable(describe_classifier(model)))
