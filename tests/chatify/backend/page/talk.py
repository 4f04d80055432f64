"""What a person does on the chat page, and what they see, in one word each."""

from playwright.async_api import Locator, Page, expect

__all__ = ["answered", "impatient", "replies", "say", "sees", "standing", "status"]


async def say(page: Page, text: str) -> None:
    """Write `text` and press Enter."""
    await page.get_by_label("Message", exact=True).fill(text)
    await page.keyboard.press("Enter")


def replies(page: Page) -> Locator:
    """The finished replies."""
    return page.locator("#talk > .theirs:has(.about) .text")


async def answered(page: Page, *texts: str) -> None:
    """Exactly these replies are shown, in this order."""
    await expect(replies(page)).to_have_text(list(texts))


async def impatient(page: Page) -> None:
    """Press "Try now" again and again until the page gives up on a message."""
    await page.evaluate(
        """() => new Promise((done) => {
            const timer = setInterval(() => {
                const button = document.getElementById("try-now");
                if (document.querySelector(".refused")) done(clearInterval(timer));
                else if (!button.hidden) button.click();
            }, 20);
        })"""
    )


async def sees(page: Page, text: str) -> None:
    """`text` stands in the conversation."""
    await expect(page.locator("#talk")).to_contain_text(text)


def standing(page: Page) -> Locator:
    """The sentence on top."""
    return page.get_by_role("heading", level=1)


def status(page: Page) -> Locator:
    """What a screen reader is told."""
    return page.get_by_role("status")
