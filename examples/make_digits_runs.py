"""Train a small network on scikit-learn's digits at three learning rates, logged by PyTorch.

    pip install torch tensorboard scikit-learn
    python examples/make_digits_runs.py [FOLDER]

Data: the 1,797 handwritten digits of 8 x 8 pixels in `sklearn.datasets.load_digits`, 1,437 to
train on and 360 to test. Model: one hidden layer of 32 units with dropout. Runs, from the same
first weights: `lr_0.03`, `lr_0.1` and `lr_0.3`, plain SGD whose learning rate falls to zero along
a cosine, and `lr_0.1_resumed`, the second of them stopped halfway, saved, and taken up again from
its checkpoint by a new writer: one run in two files.

Writer: `torch.utils.tensorboard.SummaryWriter`. It stores a scalar as a plain number.
"""

import tempfile
from pathlib import Path

import torch
from run_folder import drop_host_names, new_folder
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy
from torch.utils.tensorboard import SummaryWriter

STEPS = 800
BATCH = 16
TEST_EVERY = 20
TRAIN = 1437

DIGITS = load_digits()
IMAGES = torch.tensor(DIGITS.data / 16, dtype=torch.float32)
LABELS = torch.tensor(DIGITS.target)


class Training:
    """A network, its optimizer and its schedule: all that a checkpoint holds."""

    def __init__(self, rate: float) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(
            torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Dropout(0.2), torch.nn.Linear(32, 10)
        )
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=rate)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, STEPS)

    def save(self, file: Path) -> None:
        """Write a checkpoint, the state of the random generator included."""
        parts = (self.model, self.optimizer, self.schedule)
        torch.save([part.state_dict() for part in parts] + [torch.get_rng_state()], file)

    def load(self, file: Path) -> None:
        """Go back to where `save` was called."""
        *states, generator = torch.load(file)
        for part, state in zip((self.model, self.optimizer, self.schedule), states, strict=True):
            part.load_state_dict(state)
        torch.set_rng_state(generator)

    def run(self, writer: SummaryWriter, first: int, stop: int) -> None:
        """Train and log the steps from `first` up to, but without, `stop`."""
        for step in range(first, stop):
            batch = torch.randint(TRAIN, (BATCH,))
            loss = cross_entropy(self.model(IMAGES[batch]), LABELS[batch])
            writer.add_scalar("loss/train", loss.item(), step)
            if step % TEST_EVERY == 0:
                writer.add_scalar("lr", self.schedule.get_last_lr()[0], step)
                self.test(writer, step)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()

    @torch.no_grad()
    def test(self, writer: SummaryWriter, step: int) -> None:
        """Log the loss and the accuracy on the digits not trained on."""
        self.model.eval()
        scores = self.model(IMAGES[TRAIN:])
        self.model.train()
        truth = LABELS[TRAIN:]
        writer.add_scalar("loss/test", cross_entropy(scores, truth).item(), step)
        writer.add_scalar("accuracy/test", (scores.argmax(1) == truth).float().mean().item(), step)


def main() -> None:
    """Make the four runs."""
    folder = new_folder("digits", __doc__)
    torch.set_num_threads(1)

    for rate in (0.03, 0.1, 0.3):
        with SummaryWriter(folder / f"lr_{rate}") as writer:
            writer.add_text("settings", f"SGD, learning rate {rate}, batches of {BATCH}")
            Training(rate).run(writer, 0, STEPS)

    stop = STEPS // 2
    with tempfile.TemporaryDirectory() as scratch:
        checkpoint = Path(scratch, "checkpoint.pt")
        training = Training(0.1)
        with SummaryWriter(folder / "lr_0.1_resumed") as writer:
            training.run(writer, 0, stop)
        training.save(checkpoint)

        training = Training(0.1)
        training.load(checkpoint)
        with SummaryWriter(folder / "lr_0.1_resumed", purge_step=stop) as writer:
            training.run(writer, stop, STEPS)

    drop_host_names(folder)


if __name__ == "__main__":
    main()
